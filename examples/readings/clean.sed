#!/usr/bin/sed -Euf
# pmk: Reading:RAW -> Reading:CLEAN
# pmk-about: Ends the way of what the sensor marked as missing.
# pmk-mode: lines
#
# With pmk-mode: lines the program is started once, reads a packet a line and
# answers each with one line; an empty one means that nothing goes on. It has to
# answer at once: -u keeps sed from gathering lines first.

s/^.*;(NA|-999)?$//
