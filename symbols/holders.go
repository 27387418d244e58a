package symbols

import (
	"cmp"
	"slices"
)

type holdersKey struct{}

// Holders gives the types that an interface with methods may hold, by name: those of the itabs that the linker made,
// one of each conversion that is written in the program. Types that come to the interface from another interface only
// aren't among them. There are none without debug information.
func (f *File) Holders(iface *Type) []*Type {
	if iface.RuntimeOffset() == 0 || f.typesBase == 0 || f.module == 0 {
		return nil
	}
	all := f.Keep(holdersKey{}, func() any {
		all := map[uint64][]*Type{}
		f.eachItab(func(tab uint64) {
			inter, ok := f.word(tab) // internal/abi.ITab: Inter, Type
			desc, there := f.word(tab + 8)
			if !ok || !there || inter < f.typesBase || desc < f.typesBase {
				return
			}
			if t, ok := f.RuntimeType(desc - f.typesBase); ok {
				all[inter-f.typesBase] = append(all[inter-f.typesBase], t)
			}
		})
		for _, list := range all {
			slices.SortFunc(list, func(a, b *Type) int { return cmp.Compare(a.Name, b.Name) })
		}
		return all
	})
	return all.(map[uint64][]*Type)[iface.RuntimeOffset()]
}
