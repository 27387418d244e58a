package host

import (
	"testing"

	"ri/instruments/rows"
)

func TestNumbers(t *testing.T) {
	for source, want := range map[string]string{
		`print(1795231988.38651234)`:                      "1795231988.3865",
		`print(123456789012345.5, 0.1 + 0.2, 1/3)`:        "123456789012345.5\t0.3\t0.33333333333333",
		`print(1e14 + 0.5)`:                               "100000000000000.5",
		`print(0.0001, 1e-5, 1e15, 2^53, 1e20, -0.5)`:     "0.0001\t1e-05\t1000000000000000\t9007199254740992\t1e+20\t-0.5",
		`print("" .. 1795231988.5, tostring(1e9 + 0.25))`: "1795231988.5\t1000000000.25",
		`print(0/0, 1/0, -1/0)`:                           "NaN\t+Inf\t-Inf",
	} {
		if got, err := runLua(t, source, Options{}); got != want || err != nil {
			t.Errorf("%s\n got  %s %v\n want %s", source, got, err, want)
		}
	}
	for f, want := range map[float64]string{1795231988.38651: "1795231988.3865", 1.0 / 3: "0.333333", 12.5: "12.5",
		123.456789: "123.4568", 1e20: "1e+20", 0.00001: "1e-05", 3e14: "300000000000000", -1e9 - 0.5: "-1000000000.5"} {
		if got := rows.FloatText(f); got != want {
			t.Errorf("%g: %s, want %s", f, got, want)
		}
	}
}
