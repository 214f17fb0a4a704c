__author__ = 'someone'

###START-CONF
##{
##"object_name": "sentiment",
##"parameters": [ { "name": "tweet", "type": "TweetString", "state" : "ENGLISH | OTHER" } ],
##"return": [ { "type": "TweetString", "state" : "POSITIVE|NEGATIVE" } ]
##}
##END-CONF

from pumpkin import *
