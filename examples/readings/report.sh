#!/bin/sh
# pmk: Reading:FROST | Text:SUMMARY ->
# pmk-about: Prints a warning for frost, and each new summary.
text=$(cat)
case $PMK_STATE in
Reading:FROST) echo "frost: $text" ;;
*) echo "$text" ;;
esac
