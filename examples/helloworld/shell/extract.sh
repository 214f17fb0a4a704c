#!/bin/sh
# pmk: String:GREETING ->
# pmk-about: prints greetings
echo "Greeting: $(cat)"
