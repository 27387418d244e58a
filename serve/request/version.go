package request

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
)

// ErrSkew: who asks and the agent are of releases too far apart.
var ErrSkew = errors.New("too far apart")

var release = regexp.MustCompile(`^v(\d{1,6})\.(\d{1,6})\.\d+(-.*|\+.*)?$`)

// Skew refuses versions of ri that are more than one minor version apart, in whichever direction. What isn't released,
// (devel) or v0.0.0-..., says nothing of how old it is, and is let through: the table of commands refuses what it
// doesn't know.
func Skew(asker, agent string) error {
	a, b := release.FindStringSubmatch(asker), release.FindStringSubmatch(agent)
	if a == nil || b == nil || a[1]+"."+a[2] == "0.0" || b[1]+"."+b[2] == "0.0" {
		return nil
	}
	minorA, _ := strconv.Atoi(a[2])
	minorB, _ := strconv.Atoi(b[2])
	if a[1] == b[1] && minorA-minorB <= 1 && minorB-minorA <= 1 {
		return nil
	}
	return fmt.Errorf("who asks is ri %s, the agent is ri %s, which is %w (one minor version works): use a ri of the "+
		"same release on both sides", asker, agent, ErrSkew)
}
