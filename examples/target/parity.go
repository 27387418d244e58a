package main

// Objects are striped in parity groups: N data units and one parity unit, the
// exclusive or of the others. In group g, unit u is block g of the object's
// component object u; the last component object holds the parity.

// groupsFor is the number of parity groups that an object of size bytes has.
func groupsFor(size int64, units, blockSize int) int64 {
	group := int64(units) * int64(blockSize)
	return (size + group - 1) / group
}

// stripe cuts data into the contents of the units' component objects, padded
// with zeros, and adds the parity.
func stripe(data []byte, units, blockSize int) [][]byte {
	groups := int(groupsFor(int64(len(data)), units, blockSize))
	contents := make([][]byte, units+1)
	for u := range contents {
		contents[u] = make([]byte, groups*blockSize)
	}
	for g := 0; g < groups; g++ {
		parity := contents[units][g*blockSize : (g+1)*blockSize]
		for u := 0; u < units && len(data) > 0; u++ {
			block := contents[u][g*blockSize : (g+1)*blockSize]
			data = data[copy(block, data):]
			xor(parity, block)
		}
	}
	return contents
}

// unstripe puts an object of size bytes together from its data units.
func unstripe(contents [][]byte, size int64, units, blockSize int) []byte {
	groups := int(groupsFor(size, units, blockSize))
	data := make([]byte, 0, groups*units*blockSize)
	for g := 0; g < groups; g++ {
		for u := 0; u < units; u++ {
			data = append(data, contents[u][g*blockSize:(g+1)*blockSize]...)
		}
	}
	return data[:size]
}

// reconstruct computes block g of the lost unit from that of all others.
func reconstruct(contents [][]byte, lost int, g int64, blockSize int) []byte {
	from, to := int(g)*blockSize, int(g+1)*blockSize
	block := make([]byte, blockSize)
	for u := range contents {
		if u != lost {
			xor(block, contents[u][from:to])
		}
	}
	return block
}

// xor adds src to dst, modulo two.
func xor(dst, src []byte) {
	for i := range dst {
		dst[i] ^= src[i]
	}
}

// consistent says whether the units of group g add up to zero.
func consistent(contents [][]byte, g int64, blockSize int) bool {
	for _, b := range reconstruct(contents, -1, g, blockSize) {
		if b != 0 {
			return false
		}
	}
	return true
}
