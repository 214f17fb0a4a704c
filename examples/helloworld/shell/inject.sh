#!/bin/sh
# pmk: -> String:UNGREETED
# pmk-about: gives a name to greet
#
# What a script prints is one packet, to the byte: printf adds no newline.
printf World
