package files

import (
	"os"
	"path/filepath"
)

// ConfigFolder is where the user's own settings are, by XDG; "" where there is none.
func ConfigFolder() string {
	if dir := os.Getenv("XDG_CONFIG_HOME"); filepath.IsAbs(dir) {
		return dir
	}
	if home, err := os.UserHomeDir(); err == nil {
		return filepath.Join(home, ".config")
	}
	return ""
}
