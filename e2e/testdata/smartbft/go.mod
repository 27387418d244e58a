module example.com/chain

go 1.26

require (
	github.com/hyperledger-labs/SmartBFT v0.0.0-20250503203013-eb005eef8866
	google.golang.org/protobuf v1.36.6
)

require golang.org/x/sync v0.13.0 // indirect
