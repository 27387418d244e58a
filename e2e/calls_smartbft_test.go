package e2e

import (
	"bytes"
	"maps"
	"os"
	"slices"
	"testing"
)

// TestCallsSmartBFT records the calls of four nodes of SmartBFT, as it comes from the module proxy, through a change of
// the leader: nothing is missing in any of them, and there are as many as the program says. It replays them, many
// times, also under the race detector, and on mutants.
func TestCallsSmartBFT(t *testing.T) {
	r := recordLibrary(t, "smartbft", keptOfSmartBFT,
		[]string{"consensus.Consensus", "--elems", "4", "--not", "*quiet*"}, "12")
	own := r.own(t)
	const consensus = "github.com/hyperledger-labs/SmartBFT/pkg/consensus.(*Consensus)."
	for name, function := range map[string]string{"submitted": consensus + "SubmitRequest",
		"delivered": "github.com/hyperledger-labs/SmartBFT/examples/naive_chain.(*Node).Deliver"} {
		most := own[name]
		if name == "submitted" { // on a busy machine a request is late: then it is forwarded, and the program may end first
			most += own["forwarded"]
		}
		if got := r.ended.Calls[function]; got < own[name] || got > most {
			t.Errorf("%s: %d calls are recorded, the program made %d", function, got, own[name])
		}
	}
	// SubmitRequest asks for it, inlined: that doesn't cross the boundary.
	if n := r.ended.Calls[consensus+"GetLeaderID"]; n != 0 {
		t.Errorf("%d calls of the library to itself are recorded", n)
	}
	if r.ended.Open = 0; !r.ended.whole() { // a node may deliver while the program ends
		t.Errorf("not whole: %+v", r.ended)
	}
	// What has no size lies where everything of no size does, also what that variable holds.
	if text, err := os.ReadFile(r.file); err != nil || bytes.Contains(text, []byte("internal/poll.ErrDeadlineExceeded")) {
		t.Errorf("a metric is taken for an error (%v)", err)
	}
	r.replays(t)
	library := r.ownCopy(t, "github.com/hyperledger-labs/SmartBFT")
	r.manyTimes(t, "github.com/hyperledger-labs/SmartBFT/pkg/consensus")
	for _, file := range slices.Sorted(maps.Keys(smartbftMutants)) {
		r.mutants(t, library, "internal/bft/"+file, smartbftMutants[file])
		if !allVersions() {
			break
		}
	}
}

var smartbftMutants = map[string][]mutant{
	"view.go": {
		{"for len(voterIDs) < v.Quorum-1 {", "for len(voterIDs) < v.Quorum {", "(*Node).SignProposal"},
		{"for len(signatures) < v.Quorum-1 {", "for len(signatures) < v.Quorum-2 {", "(*Node)."},
		{"Digest: proposal.Digest(),", `Digest: "another",`, "(*WriteAheadLogFile).Append"},
		{"v.DecisionsInView++", "", "(*Node)."},
		{"signatures = append(signatures, *v.myProposalSig)", "", "(*Node).Deliver"},
		{"if v.SelfID == v.LeaderID {\n\t\tv.Comm", "if v.SelfID != v.LeaderID {\n\t\tv.Comm", "(*Node).SendConsensus"},
		{"v.createPrepare(seq, proposal)", "v.createPrepare(seq+1, proposal)", "(*WriteAheadLogFile).Append"},
		{"v.lastBroadcastSent = commitMsg", "v.lastBroadcastSent = v.currPrepareSent", "(*Node).SendConsensus"},
	},
	"viewchanger.go": {{"v.nextView = v.currView + 1", "v.nextView = v.currView + 2", "(*Node).SendConsensus"}},
	"controller.go":  {{"c.removeDeliveredFromPool(d)\n\tselect", "select", "(*Node)."}},
}

// keptOfSmartBFT is what the library itself reads: it parses metadata, and digests proposals.
const keptOfSmartBFT = `
- keep: {type: github.com/hyperledger-labs/SmartBFT/*/*, field: '*'}
- keep: {type: github.com/hyperledger-labs/SmartBFT/*, field: '*'}
- keep: {type: '\[\]uint8'}
- keep: {variable: '*'}
`
