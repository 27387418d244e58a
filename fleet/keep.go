package fleet

import (
	"fmt"
	"strings"

	"ri/instruments/rows"
)

// KeptAs is how the names of files end that targets make.
const KeptAs = ".rec"

// longestName bounds a part of a file's name: what hosts and processes are called is theirs to say.
const longestName = 80

// nameFiles gives each target a file of its own, named by host, program and pid.
func nameFiles(outcomes []*Outcome) {
	taken := map[string]bool{}
	for _, o := range outcomes {
		program, _, _ := strings.Cut(o.Target, ":")
		base := fmt.Sprintf("%s-%s-%d", plainName(o.Host), plainName(program), o.pid)
		name := base
		for n := 2; taken[name]; n++ { // hosts may have the same name
			name = fmt.Sprintf("%s-%d", base, n)
		}
		taken[name] = true
		o.File = name + KeptAs
	}
}

// plainName is a name as a part of a file's: it leads nowhere, and is no flag.
func plainName(name string) string {
	name = strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '.', r == '_', r == '-':
			return r
		}
		return '_'
	}, name)
	name = strings.TrimLeft(name[:min(len(name), longestName)], ".-")
	if name == "" {
		return "_"
	}
	return name
}

// keep makes a file, whole or not at all, where there is none.
func keep(path string, data []byte) error {
	file, err := rows.NewUnnamedFile(path)
	if err != nil {
		return rows.UnwrapPath(err)
	}
	_, err = file.Write(data)
	if err == nil {
		err = file.Appear(path)
	}
	if err != nil {
		file.Drop()
		return rows.UnwrapPath(err)
	}
	return nil
}
