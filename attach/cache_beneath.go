package attach

// Beneath is what the cache reads from: for bulk reads that are to leave no pages behind.
func (c *Cache) Beneath() Memory { return c.mem }
