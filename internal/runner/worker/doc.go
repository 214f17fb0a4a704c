// Package worker talks to a long-lived process that runs a seed: in the worker
// protocol, whatever its language, or, if it knows nothing of packets, in lines.
// It starts the process through the supervisor, gives it packets and takes what
// it emits; the kinds python and process are settings of it.
//
// # The worker protocol, version 1
//
// A worker is given two pipes, private to it and never its standard input and
// output. The environment variable PMK_WORKER holds their descriptors as
// "IN,OUT": the worker reads frames from IN and writes frames to OUT.
//
//	4 bytes  length of the header, at most 1 MiB
//	4 bytes  length of the blob
//	header   one JSON object in UTF-8
//	blob     raw bytes
//
// Numbers are big-endian. Unknown keys of a header are ignored.
//
// The first frame each way is the hello, node first:
//
//	{"pumpkin": 1, "seed": "greet", "node": "lab-783d9470", "group": "default",
//	 "file": "/home/me/seeds/greet.py", "in": ["String:UNGREETED"],
//	 "out": ["String:GREETING"], "work": "/tmp/...", "max": 1073741824, "back": 200}
//
// file is the seed's file, and source, where it is there, a copy of it to load in its place: what
// is edited must not change a run that goes on. work is an empty folder of the worker's own,
// removed after it; max is the most bytes that one output may have. An injector's hello has
// "stores": true where it can be told when what it gave is stored: see sync. The worker answers
// once its seed is loaded and can run, or says why it cannot:
//
//	{"pumpkin": 1, "worker": "python 3.11.7", "meta": true, "imported": ["/home/me/seeds/helper.py"]}
//	{"pumpkin": 1, "error": "SyntaxError: ...", "output": "Traceback ..."}
//
// imported are files of the seed's own folder that it has loaded beside its file: the seed's
// version covers them. It may stand beside an error as well: the seed is then loaded again when one
// of them changes.
//
// To the worker:
//
//	{"run": [[n, "Type:STATE", length], ...]}    blob: the data, back to back
//	{"stop": true}                               end after what you have
//	{"stored": true}                             the answer to a sync
//	{"stored": false, "error": "..."}            the same, when it cannot be
//
// The list is of parts: an entry is one part of run n. Runs count from 0, over
// all that this worker was given. A run of several parts has as many entries,
// with the same n, one after the other; today every run has one part. If the
// worker's hello says "meta": true, each entry is
//
//	[n, state, length, id, ship, attempt, {"sample": "S07", ...}]
//
// with the part's attributes in the object, and has the run's traceparent after it where it belongs
// to a trace. An injector's run has one entry, with the state "" and length 0. A worker makes its
// runs in order, one at a time; it is given no further run frame before it has told every run of
// the last one done. The end of IN is a stop, too. A worker that is to end during a run is sent
// SIGTERM, with all processes that it started, and has as long as the seed's pmk-grace to end: an
// injector when its node ends, any other after the seed's time-out.
//
// From the worker, any of these keys together in one frame; they count in
// this order:
//
//	"started": n                         run n has begun
//	"emit": [[n, state, length], ...]    outputs; blob: their data, back to back
//	"done": [[n], [n, error, output], [n, error, output, how], ...]
//	"log": ["line", ...]
//	"sync": true                         say when all outputs so far are stored
//	"back": n                            runs n and after have not begun, and will not
//
// An output's state is NAME, Type:NAME, or "" for the contract's only output. An
// output that sets attributes has them in a fourth field, {"sample": "S07"}: they
// change and extend those that it inherits. A name is [a-z][a-z0-9_]* of at most
// 64 bytes, a value a text without U+0000; a packet has at most 64, with at most
// 16 KiB of names and values together. The run fails if one is against this.
//
// An error is one line, and output the end of what the seed printed. How is an object: {"final":
// true} has the run not tried again, {"later": true, "after": 30} after as many seconds, and
// {"cut": true} says that a signal from outside ended it. A worker that exits with status 65 or 75
// says the first or the second of these of a run that is alone in it.
//
// The emits of a run come before its done, in the order in which they were
// made; done entries come in the order of the runs. A worker may gather emits
// and dones into one frame for up to a millisecond or 64 KiB, no longer; and
// tells started no later than a millisecond after the run began: the seed's
// time-out counts from there.
//
// After a sync a worker waits for the answer, which is the next frame that it
// reads: what it emitted before is then as safe as the node's durability says.
//
// A worker that has been at a frame for as many milliseconds as its hello has under
// back should give back those of its runs that have not begun, once a frame: other
// workers may be free. They come again, here or elsewhere, and count as given: the
// next frame goes on behind them. One that gives nothing back makes packets wait, and
// is right all the same.
//
// # Back-pressure
//
// The byte credit for emits is the pipe: a node reads the next frame only
// when there was room for what the last one held, so a worker that gives more
// than the network takes waits in its write. The seed's time-out stands still
// meanwhile.
//
// # Errors
//
// A frame that breaks these rules ends the worker; what it was given and has
// not told done is run again, one run at a time.
package worker
