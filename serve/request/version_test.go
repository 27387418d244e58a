package request

import (
	"errors"
	"testing"
)

func TestSkew(t *testing.T) {
	for _, v := range []struct {
		asker, agent string
		far          bool
	}{
		{"v1.4.0", "v1.4.9", false}, {"v1.4.0", "v1.5.0", false}, {"v1.5.1", "v1.4.0", false}, {"v1.4.0", "v1.6.0", true},
		{"v1.6.0", "v1.4.0-rc.1", true}, {"v2.0.0", "v1.0.0", true}, {"v1.4.0+dirty", "v1.7.0", true},
		{"(devel)", "v1.4.0", false}, {"v0.0.0-20261129-abc", "v9.1.0", false}, {"", "v1.0.0", false},
		{"v99999999999999999999.1.1", "v1.0.0", false},
	} {
		if err := Skew(v.asker, v.agent); errors.Is(err, ErrSkew) != v.far {
			t.Errorf("%s asks %s: %v", v.asker, v.agent, err)
		}
	}
}
