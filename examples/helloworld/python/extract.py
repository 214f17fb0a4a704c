# pmk: String:GREETING ->
# pmk-about: prints greetings
#
# An extractor: nothing stands right of the arrow, so data ends here. What an
# extractor prints is shown on the terminal.


def run(greeting):
    print("Greeting: " + greeting)
