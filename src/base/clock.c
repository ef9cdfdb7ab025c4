/* Time: reading the clocks, and the two ways in which dates are written. The calendar is computed here, not by libc:
 * its functions take a process-wide lock and look at TZ. Pure, but for the last value of clock_wall_unique_us(). */
#include "base/clock.h"

#include "base/err.h"

#include <stdio.h>
#include <time.h>

#define S_PER_DAY 86400

static int64_t read_clock(clockid_t id, int64_t per_s)
{
	struct timespec ts;

	clock_gettime(id, &ts); /* fails for unknown clocks only */
	return ts.tv_sec * per_s + ts.tv_nsec / (NS_PER_S / per_s);
}

int64_t clock_mono_ns(void)
{
	return read_clock(CLOCK_MONOTONIC, NS_PER_S);
}

int64_t clock_wall_us(void)
{
	return read_clock(CLOCK_REALTIME, US_PER_S);
}

int64_t clock_wall_unique_us(void)
{
	static int64_t last;
	int64_t was = __atomic_load_n(&last, __ATOMIC_RELAXED), now = clock_wall_us(), next;

	do {
		next = now > was ? now : was + 1;
	} while (!__atomic_compare_exchange_n(&last, &was, next, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED));
	return next;
}

struct civil {
	int64_t year;
	int month; /* 1.. */
	int day;   /* 1.. */
	int hour, minute, second;
};

static int64_t floor_div(int64_t a, int64_t b)
{
	return a / b - (a % b < 0);
}

/* Days since 1970-01-01 in the proleptic Gregorian calendar. Years are counted from March, so that the leap day is the
 * last of its year and the lengths of the months before it follow (153 * m + 2) / 5. */
static int64_t days_from_civil(int64_t year, int month, int day)
{
	int64_t y = month <= 2 ? year - 1 : year;
	int64_t era = floor_div(y, 400), of_era = y - era * 400;
	int64_t of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;

	return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

static struct civil civil_of(int64_t wall_s)
{
	int64_t days = floor_div(wall_s, S_PER_DAY), s = wall_s - days * S_PER_DAY;
	int64_t z = days + 719468, era = floor_div(z, 146097), of_era = z - era * 146097;
	int64_t year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
	int64_t of_year = of_era - (365 * year + year / 4 - year / 100);
	int64_t m = (5 * of_year + 2) / 153;
	struct civil c = {
		.year = year + era * 400 + (m >= 10),
		.month = (int)(m < 10 ? m + 3 : m - 9),
		.day = (int)(of_year - (153 * m + 2) / 5 + 1),
		.hour = (int)(s / 3600),
		.minute = (int)(s / 60 % 60),
		.second = (int)(s % 60),
	};

	return c;
}

static int days_in_month(int64_t year, int month)
{
	static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

	return month == 2 && leap ? 29 : days[month - 1];
}

/* Second 60 is a leap second: it counts as the second after it. */
static int seconds_of(const struct civil *c, int64_t *wall_s)
{
	if (c->month < 1 || c->month > 12 || c->day < 1 || c->day > days_in_month(c->year, c->month) || c->hour > 23 ||
		c->minute > 59 || c->second > 60)
		return -ERR_PARSE;
	*wall_s = days_from_civil(c->year, c->month, c->day) * S_PER_DAY + c->hour * 3600 + c->minute * 60 + c->second;
	return 0;
}

char *clock_iso(int64_t wall_us, char out[CLOCK_ISO_MAX])
{
	int64_t s = floor_div(wall_us, US_PER_S);
	int us = (int)(wall_us - s * US_PER_S);
	struct civil c = civil_of(s);
	int n = snprintf(out, CLOCK_ISO_MAX, "%04lld-%02d-%02dT%02d:%02d:%02d", (long long)c.year, c.month, c.day,
		c.hour, c.minute, c.second);

	if (us != 0)
		snprintf(out + n, CLOCK_ISO_MAX - (size_t)n, ".%06dZ", us);
	else
		snprintf(out + n, CLOCK_ISO_MAX - (size_t)n, "Z");
	return out;
}

/* The take_ functions eat the front of *s; false: it is not there (and *s may have moved). */
static bool take_digits(struct slice *s, size_t n, int *out)
{
	int v = 0;

	if (s->n < n)
		return false;
	for (size_t i = 0; i < n; i++) {
		if (s->p[i] < '0' || s->p[i] > '9')
			return false;
		v = v * 10 + (s->p[i] - '0');
	}
	*s = slice_of(s->p + n, s->n - n);
	*out = v;
	return true;
}

static bool take(struct slice *s, struct slice text)
{
	if (!slice_starts(*s, text))
		return false;
	*s = slice_of(s->p + text.n, s->n - text.n);
	return true;
}

static bool take_one_of(struct slice *s, const char *chars)
{
	if (s->n == 0 || s->p[0] == '\0' || strchr(chars, s->p[0]) == NULL)
		return false;
	*s = slice_of(s->p + 1, s->n - 1);
	return true;
}

static bool take_name(struct slice *s, const char *const *names, int count, int *out)
{
	for (int i = 0; i < count; i++) {
		if (take(s, slice_str(names[i]))) {
			*out = i;
			return true;
		}
	}
	return false;
}

/* Microseconds; digits past the sixth are dropped. */
static bool take_fraction(struct slice *s, int *us)
{
	int unit = 100000, digit;

	if (!take_digits(s, 1, &digit))
		return false;
	do {
		*us += digit * unit;
		unit /= 10;
	} while (take_digits(s, 1, &digit));
	return true;
}

/* "Z", "+02", "+0200", "+02:00" or nothing. */
static bool take_zone(struct slice *s, int *offset_s)
{
	int sign, hour, minute = 0;

	if (s->n == 0 || take_one_of(s, "Zz"))
		return true;
	sign = s->p[0] == '-' ? -1 : 1;
	if (!take_one_of(s, "+-") || !take_digits(s, 2, &hour))
		return false;
	if (s->n > 0) {
		(void)take_one_of(s, ":"); /* the colon is optional */
		if (!take_digits(s, 2, &minute))
			return false;
	}
	if (hour > 23 || minute > 59)
		return false;
	*offset_s = sign * (hour * 3600 + minute * 60);
	return true;
}

int clock_iso_parse(struct slice s, int64_t *wall_us)
{
	struct civil c = {0};
	int year, us = 0, offset_s = 0;
	int64_t wall_s;

	if (!take_digits(&s, 4, &year) || !take(&s, SLICE("-")) || !take_digits(&s, 2, &c.month) ||
		!take(&s, SLICE("-")) || !take_digits(&s, 2, &c.day) || !take_one_of(&s, "Tt ") ||
		!take_digits(&s, 2, &c.hour) || !take(&s, SLICE(":")) || !take_digits(&s, 2, &c.minute))
		return -ERR_PARSE;
	if (take(&s, SLICE(":"))) {
		if (!take_digits(&s, 2, &c.second))
			return -ERR_PARSE;
		if (take_one_of(&s, ".,") && !take_fraction(&s, &us))
			return -ERR_PARSE;
	}
	c.year = year;
	if (!take_zone(&s, &offset_s) || s.n > 0 || seconds_of(&c, &wall_s) != 0)
		return -ERR_PARSE;
	*wall_us = (wall_s - offset_s) * US_PER_S + us;
	return 0;
}

static const char *const day_names[] = {"Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"}; /* from 1970-01-01 */
static const char *const long_day_names[] = {
	"Thursday", "Friday", "Saturday", "Sunday", "Monday", "Tuesday", "Wednesday"};
static const char *const month_names[] = {
	"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

#define YEAR_0_S INT64_C(-62167219200)
#define YEAR_9999_END_S INT64_C(253402300799)

static void put_digits(char *at, int n, int value)
{
	for (; n > 0; n--, value /= 10)
		at[n - 1] = (char)('0' + value % 10);
}

char *clock_http(int64_t wall_s, char out[CLOCK_HTTP_MAX])
{
	struct civil c;
	int64_t days;

	/* The form has four digits for the year. */
	wall_s = wall_s < YEAR_0_S ? YEAR_0_S : wall_s > YEAR_9999_END_S ? YEAR_9999_END_S : wall_s;
	c = civil_of(wall_s);
	days = floor_div(wall_s, S_PER_DAY);
	memcpy(out, "Thu, 01 Jan 1970 00:00:00 GMT", sizeof("Thu, 01 Jan 1970 00:00:00 GMT"));
	memcpy(out, day_names[days - floor_div(days, 7) * 7], 3);
	put_digits(out + 5, 2, c.day);
	memcpy(out + 8, month_names[c.month - 1], 3);
	put_digits(out + 12, 4, (int)c.year);
	put_digits(out + 17, 2, c.hour);
	put_digits(out + 20, 2, c.minute);
	put_digits(out + 23, 2, c.second);
	return out;
}

static bool take_time(struct slice *s, struct civil *c)
{
	return take_digits(s, 2, &c->hour) && take(s, SLICE(":")) && take_digits(s, 2, &c->minute) &&
	       take(s, SLICE(":")) && take_digits(s, 2, &c->second);
}

static bool take_month(struct slice *s, struct civil *c)
{
	int i;

	if (!take_name(s, month_names, 12, &i))
		return false;
	c->month = i + 1;
	return true;
}

/* "Sun, 06 Nov 1994 08:49:37 GMT". The name of the day is not compared with the date: senders that get it wrong exist,
 * and nothing depends on it. */
static int parse_imf(struct slice s, int64_t *wall_s)
{
	struct civil c = {0};
	int skipped, year;

	if (!take_name(&s, day_names, 7, &skipped) || !take(&s, SLICE(", ")) || !take_digits(&s, 2, &c.day) ||
		!take(&s, SLICE(" ")) || !take_month(&s, &c) || !take(&s, SLICE(" ")) || !take_digits(&s, 4, &year) ||
		!take(&s, SLICE(" ")) || !take_time(&s, &c) || !take(&s, SLICE(" GMT")) || s.n > 0)
		return -ERR_PARSE;
	c.year = year;
	return seconds_of(&c, wall_s);
}

/* "Sunday, 06-Nov-94 08:49:37 GMT". RFC 9110: what would lie more than 50 years ahead means the last century. */
static int parse_rfc850(struct slice s, int64_t *wall_s)
{
	int64_t now_s = clock_wall_us() / US_PER_S, limit_s = 0;
	struct civil now = civil_of(now_s), c = {0}, limit = now;
	int skipped, year, rc;

	if (!take_name(&s, long_day_names, 7, &skipped) || !take(&s, SLICE(", ")) || !take_digits(&s, 2, &c.day) ||
		!take(&s, SLICE("-")) || !take_month(&s, &c) || !take(&s, SLICE("-")) || !take_digits(&s, 2, &year) ||
		!take(&s, SLICE(" ")) || !take_time(&s, &c) || !take(&s, SLICE(" GMT")) || s.n > 0)
		return -ERR_PARSE;
	limit.year += 50;
	limit.day = limit.day < 28 ? limit.day : 28; /* a leap day has no anniversary */
	(void)seconds_of(&limit, &limit_s);          /* cannot fail: it is the present, moved */
	/* From the last of the hundred years that can be meant, back to the first that is not too far ahead. */
	c.year = now.year / 100 * 100 + 100 + year;
	for (;;) {
		rc = seconds_of(&c, wall_s);
		if (c.year <= limit.year && (rc != 0 || *wall_s <= limit_s))
			return rc;
		c.year -= 100;
	}
}

/* "Sun Nov  6 08:49:37 1994" */
static int parse_asctime(struct slice s, int64_t *wall_s)
{
	struct civil c = {0};
	int skipped, year;

	if (!take_name(&s, day_names, 7, &skipped) || !take(&s, SLICE(" ")) || !take_month(&s, &c) ||
		!take(&s, SLICE(" ")) || !take_digits(&s, take(&s, SLICE(" ")) ? 1 : 2, &c.day) ||
		!take(&s, SLICE(" ")) || !take_time(&s, &c) || !take(&s, SLICE(" ")) || !take_digits(&s, 4, &year) ||
		s.n > 0)
		return -ERR_PARSE;
	c.year = year;
	return seconds_of(&c, wall_s);
}

int clock_http_parse(struct slice s, int64_t *wall_s)
{
	if (s.n > 3 && s.p[3] == ',')
		return parse_imf(s, wall_s);
	if (s.n > 3 && s.p[3] == ' ')
		return parse_asctime(s, wall_s);
	return parse_rfc850(s, wall_s);
}
