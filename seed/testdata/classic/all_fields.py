__author__ = 'someone'

###START-CONF
##{
##"object_name": "GenInput",
##"object_poi": "lab-101",
##"group" : "public",
##"auto-load" : "false",
##"remoting" : "True",
##"enabled": true,
##"author": "whoever",
##"parameters": [
##                 {
##                      "name": "GenInputParam",
##                      "description": "parameters file",
##                      "required": true,
##                      "type": "StringCSV",
##                      "format": "FileString,Integer",
##                      "state" : "SAInput"
##                  }
##              ],
##"return": [
##              {
##                      "name": "Xsim",
##                      "description": "a tarball",
##                      "required": "true",
##                      "type": "StringFileTar",
##                      "format": "",
##                      "state" : "XSimX1X2"
##                  }
##
##          ] }
##END-CONF

from pumpkin import *
