module example.com/XPAYLOADXPAYLOADXPAY

go 1.20
