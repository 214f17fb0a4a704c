# pmk: -> Reading:RAW
# pmk-about: Gives every row of the stations' files, with the station in front.
import glob
import os

DATA = os.path.join(os.path.dirname(os.path.abspath(__file__)), "data")


def run():
    for path in sorted(glob.glob(os.path.join(DATA, "*.csv"))):
        station = os.path.splitext(os.path.basename(path))[0]
        with open(path, encoding="utf-8") as rows:
            next(rows)  # the names of the columns
            for row in rows:
                # Each yield is a packet of its own, sent on at once.
                yield station + ";" + row.strip()
