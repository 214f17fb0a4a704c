#!/usr/bin/env bash
# pmk: String:UNGREETED -> String:GREETING
# pmk-about: says hello to a name
#
# The line above is the seed's contract: it takes data in the state UNGREETED
# and gives data in the state GREETING. This script is run once for every
# packet: the data is its standard input, what it prints is the next packet, to
# the byte. Printing nothing ends the packet; an exit status that is not 0 is a
# failure, tried again and then sent to the state Error:NAME.
set -euo pipefail # a step that fails is a failure, also within a pipe

name=$(cat)
printf 'Hello %s' "$name"
