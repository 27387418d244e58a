package flow

import _ "embed"

// openAPI is what the server answers, for people and programs.
//
//go:embed openapi.json
var openAPI []byte
