__author__ = 'someone'

###START-CONF
##{
##"object_name": "area",
##"parameters": [
##   { "name": "width", "type": "Number", "state" : "SIDE" },
##   { "name": "height", "type": "Number", "state" : "SIDE" }
##],
##"return": [ { "type": "Number", "state" : "AREA" }, { "type": "Text", "state" : "REMARK" }, { "type": "Number", "state" : "AREA" } ]
##}
##END-CONF

from pumpkin import *
