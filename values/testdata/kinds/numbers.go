package main

import "math"

var (
	yes, no              = true, false
	int8Min, int8Max     = int8(math.MinInt8), int8(math.MaxInt8)
	int16Min, int16Max   = int16(math.MinInt16), int16(math.MaxInt16)
	int32Min, int32Max   = int32(math.MinInt32), int32(math.MaxInt32)
	int64Min, int64Max   = int64(math.MinInt64), int64(math.MaxInt64)
	intMin, intMax       = math.MinInt, math.MaxInt
	uint8Max             = uint8(math.MaxUint8)
	uint16Max            = uint16(math.MaxUint16)
	uint32Max            = uint32(math.MaxUint32)
	uint64Max            = uint64(math.MaxUint64)
	uintMax              = uint(math.MaxUint)
	uintptrMax           = ^uintptr(0)
	beyondFloat          = 1<<53 + 1
	beyondFloatUnsigned  = uint64(1<<63 + 1)
	letter               = 'ä'
	float32s             = [...]float32{0, 1.5, -1e-45, math.MaxFloat32, float32(math.Inf(1)), float32(math.Inf(-1)), float32(math.NaN()), float32(math.Copysign(0, -1))}
	float64s             = [...]float64{0, 0.1, 5e-324, math.MaxFloat64, math.Inf(1), math.Inf(-1), math.NaN(), math.Copysign(0, -1), 1e21, 3}
	complex64s           = [...]complex64{0, 1 + 2i, complex(float32(math.Inf(1)), -0.5)}
	complex128s          = [...]complex128{0, -1 + 0.1i, complex(math.NaN(), math.Copysign(0, -1))}
	oneFloat, minusZero  = 0.1, math.Copysign(0, -1)
	notANumber, infinity = math.NaN(), math.Inf(-1)
)

func numbers() {
	say("main.yes", &yes)
	say("main.no", &no)
	say("main.int8Min", &int8Min)
	say("main.int8Max", &int8Max)
	say("main.int16Min", &int16Min)
	say("main.int16Max", &int16Max)
	say("main.int32Min", &int32Min)
	say("main.int32Max", &int32Max)
	say("main.int64Min", &int64Min)
	say("main.int64Max", &int64Max)
	say("main.intMin", &intMin)
	say("main.intMax", &intMax)
	say("main.uint8Max", &uint8Max)
	say("main.uint16Max", &uint16Max)
	say("main.uint32Max", &uint32Max)
	say("main.uint64Max", &uint64Max)
	say("main.uintMax", &uintMax)
	say("main.uintptrMax", &uintptrMax)
	say("main.beyondFloat", &beyondFloat)
	say("beyondFloatUnsigned", &beyondFloatUnsigned)
	say("main.letter", &letter)
	say("main.float32s", &float32s)
	say("main.float64s", &float64s)
	say("main.float64s[6]", &float64s[6])
	say("main.complex64s", &complex64s)
	say("main.complex128s", &complex128s)
	say("main.oneFloat", &oneFloat)
	say("main.minusZero", &minusZero)
	say("main.notANumber", &notANumber)
	say("main.infinity", &infinity)
}
