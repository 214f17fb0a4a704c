# pmk: -> String:UNGREETED
# pmk-about: gives a name to greet
#
# An injector: nothing stands before the arrow, so it takes no data. It runs
# once when its node starts; what it returns is a packet in the state UNGREETED.


def run():
    return "World"
