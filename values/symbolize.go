package values

// FramesOf names the functions of a stack that somebody else took: the innermost PC first, as it was, then return addresses. What is no Go code is
// given with an empty name.
func (s *Space) FramesOf(pcs []uint64) []Frame {
	var all []Frame
	exact := true
	for _, pc := range pcs {
		frames := s.FramesAt(pc, exact)
		if frames == nil {
			frames = []Frame{{PC: pc}}
		}
		all = append(all, frames...)
		exact = EntersBySignal(frames[len(frames)-1].Func)
	}
	return withoutWrappers(all)
}

// FrameEnd is how far the return address is from SP at a PC, in bytes; false if that isn't Go code or not known.
func (s *Space) FrameEnd(pc uint64) (int64, bool) {
	info, ok := s.PC(pc)
	if !ok || info.FrameSize < 0 {
		return 0, false
	}
	return info.FrameSize, true
}
