__author__ = 'someone'

###START-CONF
##{
##"object_name": "plot",
##"parameters": [
##   { "name": "figure", "type": "H5", "state" : "AMPL" },
##   { "name": "title", "type": "Text", "state" : "TITLE" }
##],
##"return": []
##}
##END-CONF

from pumpkin import *
