// Package storetest holds every store to the contract of package store, and to
// what each of them promises.
package storetest

import (
	"testing"
)

// Run tests a kind. The test that calls it is started again in processes that
// are killed, so it does nothing else before.
func Run(t *testing.T, k Kind) {
	beKilled(t, k)
	if k.Queues == 0 && !raceDetector { // else they are expensive
		// Not in parallel: they measure the process.
		t.Run("cost of many queues", func(t *testing.T) { testManyQueuesCost(open(t, k)) })
		t.Run("cost of the unknown", func(t *testing.T) { testUnknownCost(open(t, k)) })
	}
	for name, test := range map[string]func(*bench){
		"order":                testOrder,
		"numbers":              testNumbers,
		"exclusive":            testExclusive,
		"long lease":           testLongLease,
		"deliveries":           testDeliveries,
		"release with a delay": testDelay,
		"ack":                  testAck,
		"late verdicts":        testLate,
		"pull waits":           testPullWaits,
		"pull ends":            testPullEnds,
		"cancelled pulls":      testCancelledPulls,
		"queues":               testQueues,
		"many queues":          testManyQueues,
		"look":                 testLook,
		"clear":                testClear,
		"remove":               testRemove,
		"refused":              testRefused,
		"data":                 testData,
		"full":                 testFull,
		"full at once":         testFullAtOnce,
		"storm":                testStorm,
		"close":                testClose,
		"transaction":          testTransaction,
		"lapsed":               testLapsed,
		"full transaction":     testFullTransaction,
		"ended":                testEnded,
		"tables":               testTables,
		"refused records":      testRefusedRecords,
		"delayed":              testDelayed,
		"delayed order":        testDelayedOrder,
		"delay bounds":         testDelayBounds,
	} {
		t.Run(name, func(t *testing.T) { k.share(t); test(open(t, k)) })
	}
	for name, c := range map[string]struct {
		promised bool
		test     func(*bench)
	}{
		"whole":          {k.Promise.Atomic, testWhole},
		"random":         {k.Promise.Atomic, testRandom},
		"reopen":         {k.Promise.Kill, testReopen},
		"delayed reopen": {k.Promise.Kill, testDelayedReopen},
		"clock":          {k.Promise.Kill && k.Clock, testClock},
		"kill":           {k.Promise.Kill, testKill},
		"crash":          {k.Promise.PowerLoss && k.FS, testCrash},
		"kill whole":     {k.Promise.Kill && k.Promise.Atomic, testKillWhole},
	} {
		if c.promised {
			t.Run(name, func(t *testing.T) { k.share(t); c.test(open(t, k)) })
		}
	}
}
