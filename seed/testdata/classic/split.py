__author__ = 'someone'

###START-CONF
##{ "object_name": "dti_prep",
##"parameters": [ { "type": "Composite", "state" : "RAW" } ],
##"return": [ { "type": "Composite", "state" : "PREPROC1&PREPROC2" } ]
##}
##END-CONF

from pumpkin import *
