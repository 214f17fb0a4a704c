#!/bin/sh
# pmk: Error:grade -> Reading:CLEAN
# pmk-about: Puts a decimal point where somebody wrote a comma.
# pmk-retries: 0
#
# The data comes as it was when grade failed. What cannot be repaired here
# fails again, and waits as Error:repair until somebody looks at it.
reading=$(cat)
case $reading in
*,*) printf '%s' "$reading" | tr , . ;;
*)
	echo "no number, and no comma in it either: $reading" >&2
	exit 1
	;;
esac
