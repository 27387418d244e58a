package trace

import (
	"fmt"

	"ri/instruments/rows"
	"ri/probe"
)

// PlaceColumns are those of Places.
var PlaceColumns = []rows.Column{{Name: "func", Cut: rows.CutPaths}, {Name: "role"}, {Name: "into", Cut: rows.CutPaths,
	Optional: true}, {Name: "source", Cut: "left"}, {Name: "pc", Whole: true}, {Name: "instruction"},
	{Name: "cost", Type: rows.ColumnDuration}, {Name: "not probed", Optional: true}}

// Places says where would be probed, what stands there, what a hit costs at least, and what isn't probed.
func (p *Plan) Places() []rows.Row {
	var out []rows.Row
	for i := range p.probes {
		for _, sites := range [][]probe.Site{p.probes[i].Sites, p.probes[i].Returns} {
			for _, s := range sites {
				out = append(out, rows.Of("func", s.Func, "role", roleText(s), "into", textOrNil(s.Into),
					"source", fmt.Sprintf("%s:%d", s.File, s.Line), "pc", rows.AddressCell(s.PC+p.process.Bias),
					"instruction", instructionText(s.Instruction), "cost", s.Instruction.Cost(), "not probed", nil))
			}
		}
	}
	for _, m := range p.Missed {
		out = append(out, rows.Of("func", m.Func, "role", nil, "into", textOrNil(m.Into), "source",
			fmt.Sprintf("%s:%d", m.File, m.Line), "pc", nil, "instruction", nil, "cost", nil, "not probed", m.Why))
	}
	return out
}

func textOrNil(s string) any {
	if s == "" {
		return nil
	}
	return s
}

func roleText(s probe.Site) string {
	if s.Unsure {
		return "inlined, unsure"
	}
	return [...]string{probe.Entry: "entry", probe.Inlined: "inlined", probe.Line: "line", probe.Return: "return",
		probe.Receive: "receive"}[s.Role]
}

func instructionText(i probe.Instruction) string {
	return [...]string{probe.Push: "push", probe.Check: "stack check", probe.Emulated: "emulated",
		probe.Stepped: "single-stepped"}[i]
}
