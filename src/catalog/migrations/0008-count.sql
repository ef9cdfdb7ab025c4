-- How many units there are of each type: every page of a list says so, and counting a million of them takes longer than the page.
CREATE TABLE content_count (type TEXT PRIMARY KEY, units {int} NOT NULL) {norowid};
INSERT INTO content_count SELECT type, count(*) FROM content GROUP BY type;
-- Not an upsert: within a trigger the conflict clause of the statement that fired it would take its place.
CREATE TRIGGER content_counted AFTER INSERT ON content BEGIN
  INSERT INTO content_count SELECT NEW.type, 0 WHERE NOT EXISTS (SELECT 1 FROM content_count WHERE type = NEW.type);
  UPDATE content_count SET units = units + 1 WHERE type = NEW.type;
END;
CREATE TRIGGER content_discounted AFTER DELETE ON content BEGIN
  UPDATE content_count SET units = units - 1 WHERE type = OLD.type;
END;
