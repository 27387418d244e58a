package symbols

// CacheAll caches executables of any size until the test ends.
func CacheAll(t interface{ Cleanup(func()) }) {
	old := worthCaching
	worthCaching = 0
	t.Cleanup(func() { worthCaching = old })
}

// FromCache tells whether a file was opened by way of the cache.
func FromCache(f *File) bool { return f.cached }

// MakeRoom removes the oldest cache files until the rest fits.
func MakeRoom(folder string, size int64) { makeRoom(folder, size) }
