package web

import (
	"github.com/recap/pumpkin/internal/api"
	"github.com/recap/pumpkin/internal/mesh"
	"github.com/recap/pumpkin/internal/node"
)

// StatusOf is what a node does, as the API says it.
func StatusOf(st node.Status) api.Status {
	return api.Status{
		Node: st.Node, Group: st.Group, Run: st.Run, Since: st.Since, Version: st.Version, Leaving: st.Leaving,
		Seeds: each(st.Seeds, seedOf), Waiting: each(st.Waiting, func(w node.Waiting) api.Waiting { return api.Waiting(w) }),
		Inboxes: each(st.Inboxes, func(in node.Inbox) api.Inbox { return api.Inbox(in) }),
		Store:   storeOf(st.Store), Away: each(st.Away, awayOf), Refused: each(st.Refused, refusedOf),
		Behind:  each(st.Behind, func(b node.Behind) api.Behind { return api.Behind(b) }),
		Folders: each(st.Folders, func(f node.Folder) api.Folder { return api.Folder(f) }),
		Load:    api.Load(st.Load),
	}
}

func seedOf(s node.SeedStatus) api.SeedStatus {
	out := api.SeedStatus{
		Manifest: s.Manifest,
		Figures: api.Figures{
			Since: s.Since, In: s.In, Out: s.Out, Failed: s.Failed,
			Queued: s.Queued, QueuedBytes: s.QueuedBytes, Stored: s.Stored, Running: s.Running, Workers: s.Workers,
			Cost: s.Cost, Prediction: s.Prediction, Paused: s.Paused, Loading: s.Loading, NotLoaded: s.NotLoaded,
			Interpreter: s.Interpreter, Silent: s.Silent,
			Errors: each(s.Errors, func(e node.SeedError) api.SeedError { return api.SeedError(e) }),
		},
		Filtered: s.Filtered, Retries: s.Retries, GaveUp: s.GaveUp, StoredBytes: s.StoredBytes,
		InStates: s.InStates, OutStates: s.OutStates,
	}
	if i := s.Injector; i != nil {
		out.Injector = &api.InjectorStatus{State: api.InjectorState(i.State), Failed: i.Failed, Next: i.Next}
	}
	return out
}

func storeOf(s node.StoreStatus) api.Store {
	return api.Store{
		Durability: s.Durability, Used: s.Used, Size: s.Size, Reserve: s.Reserve, Refusing: s.Refusing,
		Error: s.Error, Damage: s.Damage, Held: s.Held(),
	}
}

func awayOf(a node.Away) api.Away {
	return api.Away{Seed: a.Seed, Contract: a.Contract, Nodes: a.Nodes, For: a.For, Text: a.Text(), Packets: a.Packets, Bytes: a.Bytes}
}

func refusedOf(r mesh.Refused) api.Refused { return api.Refused(r) }

func ledgerOf(l node.Ledger) api.Ledger {
	return api.Ledger{Begun: l.Begun, Live: l.Live, Ended: l.Ended(), Waiting: l.Waiting, Kept: l.Kept, Filtered: l.Filtered, Held: l.Held}
}

// each is the list of what f makes of those of another; nil stays nil.
func each[A, B any](list []A, f func(A) B) []B {
	if list == nil {
		return nil
	}
	out := make([]B, len(list))
	for i := range list {
		out[i] = f(list[i])
	}
	return out
}
