"""What bench/run consists of: machine (processes, processors, speed), files (what is served), load (clients and upstream),
peers (one file each), scenarios (one file a family), report (tables, plot, documents)."""
