// Package ri holds what is built into the binary: the catalogue and the instruments.
package ri

import "embed"

// Files holds recipes.yaml and scripts/lua.
//
//go:embed recipes.yaml scripts/lua
var Files embed.FS
