###START-CONF
##{
##"object_name": "tracula",
##"parameters": [ { "name": "in", "type": "Composite", "state" : "SEGMENT&PREPROC&FIBER" } ],
##"return": [ { "name": "", "type": "Composite", "state" : "TRACK" } ] }
##END-CONF

from pumpkin import *
