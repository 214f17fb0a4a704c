#!/bin/sh
# pmk: String:UNGREETED -> String:GREETING
# pmk-about: makes a greeting of a name
#
# The data comes on standard input. The script runs once for every packet.
printf 'Hello %s' "$(cat)"
