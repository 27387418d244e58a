package method

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"ri/files"
)

// Place is an agent, as a user says where it is.
type Place struct {
	Methods []Method
	TLS     string // the file of who one is there: certificate, key and authority; "": the default
}

// host is an entry of hosts.yaml.
type host struct {
	At  string `yaml:"at"`
	TLS string `yaml:"tls"`
}

// UnmarshalYAML implements yaml.Unmarshaler: an entry may be the method alone.
func (h *host) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind == yaml.ScalarNode {
		return n.Decode(&h.At)
	}
	type plain host
	return n.Decode((*plain)(h))
}

// HostsFile is where a user names agents.
func HostsFile() string {
	if dir := files.ConfigFolder(); dir != "" {
		return filepath.Join(dir, "ri", "hosts.yaml")
	}
	return ""
}

// Names are those of HostsFile, for completion; none where it can't be read.
func Names() []string {
	var hosts map[string]host
	data, err := files.ReadBelieved(HostsFile(), files.MaxText)
	if err != nil || yaml.Unmarshal(data, &hosts) != nil {
		return nil
	}
	return slices.Sorted(maps.Keys(hosts))
}

// Find reads methods, or a name of hosts.yaml.
func Find(text string) (Place, error) {
	if strings.Contains(text, ":") {
		list, err := ParseList(text)
		return Place{Methods: list}, err
	}
	if text == "" {
		return Place{}, fmt.Errorf("--at names no agent: give %s, or a name of %s", forms, HostsFile())
	}
	path := HostsFile()
	data, err := files.ReadBelieved(path, files.MaxText)
	if errors.Is(err, os.ErrNotExist) {
		return Place{}, fmt.Errorf("%q is no method (%s), and there is no %s that names it", text, forms, path)
	}
	if err != nil {
		return Place{}, err
	}
	var hosts map[string]host
	if err := yaml.Unmarshal(data, &hosts); err != nil {
		return Place{}, fmt.Errorf("%s: %w", path, err)
	}
	h, ok := hosts[text]
	if !ok {
		return Place{}, fmt.Errorf("%s names no agent %q; it has %s", path, text,
			strings.Join(slices.Sorted(maps.Keys(hosts)), ", "))
	}
	list, err := ParseList(h.At)
	if err != nil {
		return Place{}, fmt.Errorf("%s: %s: %w", path, text, err)
	}
	if h.TLS != "" && !filepath.IsAbs(h.TLS) {
		h.TLS = filepath.Join(filepath.Dir(path), h.TLS)
	}
	return Place{list, h.TLS}, nil
}
