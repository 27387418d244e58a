package fleet

import "context"

type orders struct{ m *Member }

func newOrders(m *Member) (*orders, error) { return &orders{m}, nil }

func (o *orders) watch(ctx context.Context) { <-ctx.Done() }
