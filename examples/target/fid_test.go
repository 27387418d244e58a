package main

import (
	"encoding/json"
	"testing"
)

func TestFid(t *testing.T) {
	for _, test := range []struct {
		fid  Fid
		text string
	}{
		{Fid{}, "<0:0>"},
		{Fid{0x7000000000000001, 0x2a}, "<7000000000000001:2a>"},
		{Fid{1<<64 - 1, 1<<64 - 1}, "<ffffffffffffffff:ffffffffffffffff>"},
		{cobFid(Fid{objectContainer, 5}, 2), "<4300000000000002:5>"},
	} {
		if got := test.fid.String(); got != test.text {
			t.Errorf("String: %s, want %s", got, test.text)
		}
		for _, text := range []string{test.text, test.text[1 : len(test.text)-1]} {
			if got, err := parseFid(text); err != nil || got != test.fid {
				t.Errorf("parseFid(%q): %v, %v", text, got, err)
			}
		}
		text, err := json.Marshal(test.fid)
		var back Fid
		if err == nil {
			err = json.Unmarshal(text, &back)
		}
		if err != nil || back != test.fid {
			t.Errorf("JSON %s: %v, %v", text, back, err)
		}
	}
	for _, text := range []string{"", "1", ":", "<1:2", "1:2>", "g:1", "1:2:3", "10000000000000000:0", "-1:0"} {
		if fid, err := parseFid(text); err == nil {
			t.Errorf("parseFid(%q): %v, want an error", text, fid)
		}
	}
}
