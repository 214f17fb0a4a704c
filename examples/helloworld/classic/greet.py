###START-CONF
##{
##"object_name": "greet",
##"object_poi": "hello-greet",
##"auto-load": true,
##"parameters": [ {"name": "name", "description": "a name to greet", "required": true, "type": "String", "state": "UNGREETED"} ],
##"return": [ {"name": "greeting", "description": "a greeting", "required": true, "type": "String", "state": "GREETING"} ]
##}
##END-CONF

from pumpkin import *


class greet(PmkSeed.Seed):

    def __init__(self, context, poi=None):
        PmkSeed.Seed.__init__(self, context, poi)

    def run(self, pkt, name):
        self.dispatch(pkt, "Hello " + str(name), "GREETING")
