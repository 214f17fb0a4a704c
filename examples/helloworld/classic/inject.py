###START-CONF
##{
##"object_name": "inject",
##"object_poi": "hello-inject",
##"auto-load": true,
##"parameters": [],
##"return": [ {"name": "name", "description": "a name", "required": true, "type": "String", "state": "UNGREETED"} ]
##}
##END-CONF

from pumpkin import *


class inject(PmkSeed.Seed):

    def __init__(self, context, poi=None):
        PmkSeed.Seed.__init__(self, context, poi)

    def run(self, pkt):
        self.dispatch(pkt, "World", "UNGREETED")
