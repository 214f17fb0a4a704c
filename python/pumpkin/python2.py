"""Recognises Python 2 in what a seed file failed on."""

# What only Python 2 has, as regular expressions for the line that failed.
_SYNTAX = (
    r"^\s*print\s+[^\s(=]", r"^\s*print\s*$", r"\bprint\s*>>",
    r"^\s*except\s+[^:]+,\s*\w+\s*:",
    r"^\s*raise\s+[\w.]+\s*,",
    r"^\s*exec\s+[\w\"']",
    r"\b0[0-7]+\b", r"\b\d+[lL]\b", r"<>", r"`", r"\bur[\"']",
)

_NAMES = {"basestring", "execfile", "file", "long", "raw_input", "reduce", "reload", "unichr", "unicode", "xrange"}

_MODULES = {"BaseHTTPServer", "commands", "ConfigParser", "Cookie", "cookielib", "cPickle", "cStringIO", "HTMLParser",
            "httplib", "Queue", "SocketServer", "StringIO", "thread", "urllib2", "urlparse"}


def explain(error, path):
    """What to do, if the error comes from Python 2 code; else "". """
    if isinstance(error, TabError):  # which 2to3 leaves as it is
        return ("line %d mixes tabs and spaces, which only Python 2 allows; convert the file with: "
                "expand -i %s > NEW && 2to3 -w NEW" % (error.lineno or 0, path))
    what = _found(error, path)
    return "%s is Python 2; convert the file with: 2to3 -w %s" % (what, path) if what else ""


def _found(error, path):
    if isinstance(error, SyntaxError):
        if error.filename != path:
            return ""
        line = (error.text or "").strip()
        import re
        if any(re.search(p, error.text or "") for p in _SYNTAX):
            return "line %d (%s)" % (error.lineno or 0, line[:80])
    elif isinstance(error, ModuleNotFoundError):
        return "the module %s" % error.name if error.name in _MODULES else ""
    elif isinstance(error, NameError):
        parts = str(error).split("'")  # name 'xrange' is not defined
        return "the name %s" % parts[1] if len(parts) == 3 and parts[1] in _NAMES else ""
    elif isinstance(error, TypeError) and "unsupported operand type(s) for >>: 'builtin_function_or_method'" in str(error):
        return "print >>"
    return ""
