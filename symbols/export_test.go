package symbols

// PIE tells whether the file is position-independent.
func PIE(f *File) bool { return f.image.PIE }

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

// Descriptors gives the offsets of a stripped file's type descriptors from where types begin, by name.
func Descriptors(f *File) map[string]uint64 {
	f.readDescriptors()
	offsets := map[string]uint64{}
	for name, addr := range f.descriptors {
		offsets[name] = addr - f.typesBase
	}
	return offsets
}

// GenericBase names what a generic function's dictionaries are kept under.
func GenericBase(function string) string { return genericBase(function) }

// GivenByX are the values that -ldflags=-X gives to variables.
func GivenByX(ldflags string) []string { return givenByX(ldflags) }
