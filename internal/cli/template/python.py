# pmk: String:UNGREETED -> String:GREETING
# pmk-about: says hello to a name
#
# The line above is the seed's contract: it takes data in the state UNGREETED
# and gives data in the state GREETING. Every packet in the network whose data
# is in that state comes here by itself. Change both names to yours.


def run(name):
    # Return a value for one packet, yield for several, nothing for none.
    # A raised exception is tried again, then goes to the state Error:NAME.
    return "Hello " + name
