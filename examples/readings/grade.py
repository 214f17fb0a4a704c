# pmk: Reading:CLEAN -> Reading:FROST | Reading:MILD
# pmk-about: Tells frost from mild weather; fails on what is no number.
# pmk-retries: 0
from pumpkin import State


def run(reading):
    celsius = float(reading.split(";")[2])  # a ValueError sends it to Error:grade
    return State("FROST" if celsius < 0 else "MILD", reading)
