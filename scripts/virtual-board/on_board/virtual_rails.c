// SPDX-License-Identifier: GPL-2.0
/*
 * Ties the registers that i2c-stub offers to the power monitor of the device tree.
 *
 * The adapter of i2c-stub has no node in the device tree, so nothing on it gets one either, and
 * the ina3221 driver takes the names of its rails and its shunts from its node. Here a client is
 * added to that adapter with the node of the first "ti,ina3221": all the rest is the driver's.
 */
#include <linux/err.h>
#include <linux/i2c.h>
#include <linux/module.h>
#include <linux/of.h>
#include <linux/string.h>

#define LAST_ADAPTER 15

static struct i2c_client *monitor;

static struct i2c_adapter *stub_adapter(void)
{
	struct i2c_adapter *adapter;
	int number;

	for (number = 0; number <= LAST_ADAPTER; number++) {
		adapter = i2c_get_adapter(number);
		if (adapter && strstarts(adapter->name, "SMBus stub"))
			return adapter;
		i2c_put_adapter(adapter);
	}
	return NULL;
}

static int __init virtual_rails_init(void)
{
	struct i2c_board_info info = { I2C_BOARD_INFO("ina3221", 0) };
	struct i2c_adapter *adapter;
	struct device_node *node;
	u32 address;
	int error = -ENODEV;

	node = of_find_compatible_node(NULL, NULL, "ti,ina3221");
	adapter = stub_adapter();
	if (node && adapter && !of_property_read_u32(node, "reg", &address)) {
		info.addr = address;
		info.of_node = node;
		monitor = i2c_new_client_device(adapter, &info);
		error = PTR_ERR_OR_ZERO(monitor);
	}
	i2c_put_adapter(adapter);
	of_node_put(node);
	return error;
}

static void __exit virtual_rails_exit(void)
{
	i2c_unregister_device(monitor);
}

module_init(virtual_rails_init);
module_exit(virtual_rails_exit);
MODULE_DESCRIPTION("Gives an INA3221 on i2c-stub its device tree node");
MODULE_LICENSE("GPL");
