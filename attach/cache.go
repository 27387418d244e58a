package attach

// Cache keeps pages of a Memory.
type Cache struct{}

func NewCache(m Memory) *Cache { panic("todo") }

// ReadMemory implements Memory.
func (c *Cache) ReadMemory(p []byte, addr uint64) (int, error) { panic("todo") }

// Slice gives n bytes at addr without a copy where they lie in one chunk; the bytes must not be written and are valid until Reset.
func (c *Cache) Slice(addr uint64, n int) ([]byte, error) { panic("todo") }

// Uint64 reads a word.
func (c *Cache) Uint64(addr uint64) (uint64, error) { panic("todo") }

// Reset forgets all pages and reads m from now on.
func (c *Cache) Reset(m Memory) { panic("todo") }
