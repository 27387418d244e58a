package attach

import "encoding/binary"

// Keys of the auxiliary vector, uapi/linux/auxvec.h.
const (
	auxNull  = 0
	auxEntry = 9
)

// auxvValue finds a key in a 64-bit auxiliary vector: pairs of words, the last one's key is AT_NULL.
func auxvValue(auxv []byte, key uint64) (uint64, bool) {
	for len(auxv) >= 16 {
		k := binary.LittleEndian.Uint64(auxv)
		if k == auxNull {
			break
		}
		if k == key {
			return binary.LittleEndian.Uint64(auxv[8:]), true
		}
		auxv = auxv[16:]
	}
	return 0, false
}
