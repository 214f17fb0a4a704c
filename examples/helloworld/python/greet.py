# pmk: String:UNGREETED -> String:GREETING
# pmk-about: makes a greeting of a name
#
# A transformer: every packet in the state UNGREETED comes here, from whichever
# seed, and what this returns goes on in the state GREETING.


def run(name):
    return "Hello " + name
