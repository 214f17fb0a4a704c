# pmk: Reading:FROST | Reading:MILD -> Text:SUMMARY
# pmk-about: Keeps the mean of every station.
# pmk-workers: 1
#
# What a module keeps between two packets is its worker's own. With one worker
# that is all there is to know; it begins anew when the node does.
from collections import defaultdict

readings = defaultdict(list)


def run(reading):
    station, _, celsius = reading.split(";")
    known = readings[station]
    known.append(float(celsius))
    return "%s: mean %.1f C of %d readings" % (station, sum(known) / len(known), len(known))
